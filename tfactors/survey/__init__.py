"""Codes become what each factor does: examples, importance, histograms, words."""
