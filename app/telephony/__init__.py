"""Engines that carry orders out and report, one adapter a file."""
