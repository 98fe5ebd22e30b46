"""Foundations: errors, atomic writing of files, parallel work."""
