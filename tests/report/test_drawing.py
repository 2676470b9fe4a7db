"""One figure in three forms."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from lit_vlr.report.figures import Curve, risk_coverage

ALT = 'Curves of <b> & "c".'


def make(label: str = "test"):
    return risk_coverage([Curve(label, [0.5, 1.0], [0.1, 0.3], (0.5, 0.1))], name="one", alt=ALT, max_risk=0.5)


def test_forms_do_not_depend_on_what_was_saved_before() -> None:
    first, second = make(), make()
    png, svg, element = first.png(), first.svg(), first.element()
    assert (second.element(), second.svg(), second.png()) == (element, svg, png)
    assert (first.png(), first.svg(), first.element()) == (png, svg, element)
    assert png.startswith(b"\x89PNG")
    assert make("other").png() != png


def test_a_file_stands_for_itself_and_says_what_it_shows() -> None:
    text = make().svg().decode()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.findtext("{http://www.w3.org/2000/svg}title") == ALT
    assert "Coverage (% of questions answered)" in text  # text stays text
    assert "var(--" not in text
    assert not re.search(r"20\d\d-\d\d-\d\d", text)


def test_an_element_follows_the_page() -> None:
    text = make().element()
    assert text.startswith('<svg class="plot" role="img" aria-label="Curves of &lt;b&gt; &amp; &quot;c&quot;."')
    assert "var(--series-1, #0072b2)" in text
    assert "://" not in text
    assert set(re.findall(r'\sid="([^"]*)"', text)) == {
        x for x in re.findall(r'\sid="([^"]*)"', text) if x[:4] == "one-"
    }
