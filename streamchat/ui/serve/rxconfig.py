"""Reflex's configuration for serving the built page: ``serving.py`` names this folder as the project."""

from streamchat.settings import load_settings
from streamchat.ui.config import page_config

config = page_config(load_settings())
