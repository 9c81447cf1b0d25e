"""The service modules as the screens see them: each is imported when first used, because the Azure SDK costs seconds.

`backend.access.subscriptions(azure)` is `tui.services.access.subscriptions(azure)`; call it from a background task
only, since the first use of a module may import the SDK. A test puts a stand-in in a module's place by setting the
attribute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.services import access as access
    from tui.services import catalog as catalog
    from tui.services import chat as chat
    from tui.services import cleanup as cleanup
    from tui.services import comparisons as comparisons
    from tui.services import costs as costs
    from tui.services import datasets as datasets
    from tui.services import deployments as deployments
    from tui.services import doctor as doctor
    from tui.services import drafts as drafts
    from tui.services import evaluations as evaluations
    from tui.services import export as export
    from tui.services import flow as flow
    from tui.services import identity as identity
    from tui.services import jobs as jobs
    from tui.services import journal as journal
    from tui.services import machines as machines
    from tui.services import models as models
    from tui.services import projects as projects
    from tui.services import runs as runs
    from tui.services import spending as spending
    from tui.services import submissions as submissions
    from tui.services import uploads as uploads
else:
    from importlib import import_module

    def __getattr__(name: str) -> object:
        """The service module `name`, imported on first use."""
        if name.startswith("_"):
            raise AttributeError(name)
        return import_module(f"tui.services.{name}")
