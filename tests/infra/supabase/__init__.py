"""Tests of what the migrations leave behind: grants and conventions."""
