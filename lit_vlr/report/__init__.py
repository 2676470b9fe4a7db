"""Predictions in, a report out: one self-contained HTML file, the same as Markdown, and its figures as files."""

from lit_vlr.report.build import Written, build_report, write_report
from lit_vlr.report.gallery import GalleryFormatError
from lit_vlr.report.summary import Summary, summarize

__all__ = ["GalleryFormatError", "Summary", "Written", "build_report", "summarize", "write_report"]
