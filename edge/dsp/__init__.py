"""Samples -> Window: when a sample was taken, where it is kept, filters, beats, quality."""
