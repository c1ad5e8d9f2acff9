"""The dashboard: ``streamlit run dashboard.py``, or ``tfactors dashboard``."""

from tfactors.app import shell

shell.run()
