"""Reloading for `durableq dev`: which files are watched, when they have changed, and one worker after another."""
