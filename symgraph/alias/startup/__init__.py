"""The folder that `install_as_keras` puts into `PYTHONPATH`; nothing imports it as a package."""
