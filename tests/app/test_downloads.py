"""Files that readers save: there when the browser comes for them, whatever others do meanwhile."""

from types import SimpleNamespace

import pytest
from streamlit import runtime
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from tfactors.app.parts import downloads


def test_a_file_is_kept_until_it_is_fetched_while_pages_of_others_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = MemoryMediaFileStorage("/media")
    files = MediaFileManager(storage)
    monkeypatch.setattr(runtime, "exists", lambda: True)
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(media_file_mgr=files))

    def made(number: int) -> bytes:
        return downloads.kept(b"%d" % number, "a.csv", "text/csv", None)

    links = []
    for number in range(downloads._KEPT + 1):
        place = files.add_deferred(lambda at=number: made(at), "text/csv", "a button", "a.csv")
        links.append(files.execute_deferred(place))
        for _ in range(3):  # what Streamlit does whenever a page was made
            files.remove_orphaned_files()
    names = [link.rpartition("/")[2] for link in links]
    assert storage.get_file(names[-1]).content == b"%d" % downloads._KEPT
    assert storage.get_file(names[1]).content == b"1"
    with pytest.raises(runtime.media_file_storage.MediaFileStorageError):
        storage.get_file(names[0])  # no more than that stays in memory
