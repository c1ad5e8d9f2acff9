"""Streamlit's search of all installed packages for components, made once a process.

A server searches when it starts; AppTest searches each time a page is run, which takes longer than
the page. Importing this module is enough.
"""

from functools import cache

from streamlit.components.v2 import manifest_scanner

manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
