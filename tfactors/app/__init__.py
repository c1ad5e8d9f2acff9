"""What the pages of the dashboard share: frame, state of the view, text, charts.

Nothing here, nor in ``pages/``, imports torch, transformers, lime or numba before a reader asks
for something that needs the model.
"""

import os

# Arrow's own allocator keeps what it once had: 20 MB with a small bundle, 50 MB with a large one.
# It is chosen when Arrow is loaded, which nothing did before this.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
