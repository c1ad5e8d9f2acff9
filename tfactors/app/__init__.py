"""What the pages of the dashboard share: frame, state of the view, text, charts.

Nothing here, nor in ``pages/``, imports torch, transformers, lime or numba before a reader asks
for something that needs the model.
"""
