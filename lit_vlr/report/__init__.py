"""Predictions in, a report out: one self-contained HTML file and its table as Markdown."""

from lit_vlr.report.build import build_report
from lit_vlr.report.gallery import GalleryFormatError
from lit_vlr.report.summary import Summary, summarize

__all__ = ["GalleryFormatError", "Summary", "build_report", "summarize"]
