"""The life of one container, from launch to clean-up."""
