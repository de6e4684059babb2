"""The control socket: connections, the API's methods, replies that stream."""
