"""smbport.state.dfs: which paths lead through a link."""

import pytest

from smbport.state.dfs import DfsLink, DfsLinks

PROJECTS = DfsLink("Projects", ("one\\projects",))
DEEP = DfsLink("teams/Design", ("one\\design", "two\\design"))
LINKS = DfsLinks((PROJECTS, DEEP))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("projects", (PROJECTS, 1)),
        ("PROJECTS/a/b", (PROJECTS, 1)),
        ("Teams/design", (DEEP, 2)),
        ("teams/DESIGN/x", (DEEP, 2)),
        ("", None),
        ("teams", None),
        ("teams/other/Design", None),
        ("projects2", None),
        ("a/projects", None),
    ],
)
def test_what_a_path_leads_through(path, found):
    assert LINKS.find(path.split("/")) == found


def test_which_links_a_directory_has():
    assert LINKS.names_in("") == ["Projects"]
    assert LINKS.names_in("TEAMS") == ["Design"]
    assert LINKS.names_in("Projects") == []
