"""Serving the page to browsers, and to nothing else."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lit_vlr.page.blocks import build_page
from lit_vlr.predictor import SelectivePredictor

if TYPE_CHECKING:
    import gradio as gr

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "form-action 'self'; base-uri 'self'; frame-ancestors 'self'"
)
"""What browsers may fetch: this server's own. Gradio's page asks for a script from elsewhere where it can."""


class OwnOriginOnly:
    """Sends `POLICY` with every answer."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Awaitable[None]]
    ) -> None:
        """One request."""

        async def with_policy(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (b"content-security-policy", POLICY.encode())]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, with_policy if scope["type"] == "http" else send)


def serve(predictor: SelectivePredictor, host: str, port: int, steps: int = 10, block: bool = True) -> gr.Blocks:
    """Serve the page until interrupted.

    Args:
        predictor: the model.
        host: an address of this machine.
        port: free.
        steps: of PGD.
        block: False returns while a thread serves; ``close()`` of what is returned ends that.
    """
    # Before Gradio is imported: no usage statistics, no question whether there is a newer version.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr  # an extra
    from starlette.middleware import Middleware

    # Fonts of the browser's own: Gradio's defaults are asked for elsewhere, or served along with the page.
    theme = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    page = build_page(predictor, steps).queue(max_size=32)
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        quiet=True,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        prevent_thread_lock=True,
        max_file_size="50mb",
        state_session_capacity=100,  # each holds three pictures
        footer_links=[],
        theme=theme.set(block_info_text_color="*neutral_500"),
        css=files("lit_vlr.page").joinpath("page.css").read_text(encoding="utf-8"),
        app_kwargs={"middleware": [Middleware(OwnOriginOnly)]},
    )
    print(f"page: {page.local_url} (Ctrl-C ends it)", flush=True)
    if block:
        page.block_thread()
    return page
