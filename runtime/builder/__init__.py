"""Images from Dockerfiles: a worker a stage, a layer a step."""
