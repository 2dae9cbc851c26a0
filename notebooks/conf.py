"""The site: Sphinx executes the four notebooks and makes pages that need no network.

    python -m sphinx notebooks site                    on the sample of MNIST
    python -m sphinx -D run=whole notebooks site       on all of MNIST
    python -m sphinx -D run=committed notebooks site   as committed, without executing

The pages are put into the folder site/; open site/index.html. Sphinx reads again only
what has changed; with -E it executes everything again.
"""

import contextlib
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from docutils import nodes
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from sphinx.errors import ConfigError, SphinxError

HERE = Path(__file__).resolve().parent
NOTEBOOKS = sorted(HERE.glob("[0-9]*.ipynb"))
# the address of the series is the one that the setup cell clones
ADDRESS = r"REPOSITORY = .*?(https://github\.com/[\w.-]+/[\w.-]+)"
REPOSITORY = re.search(ADDRESS, NOTEBOOKS[0].read_text(encoding="utf-8"))[1]
# the badge's picture is on another host: [![Open in Colab](picture)](notebook)
BADGE = r"\[!\[(Open in Colab)\]\(https:[^)]*\)\]\(([^)]*)\)"
FOLDED = {"setup": "Setup", "solution": "A solution"}  # by tag: what the reader clicks
alt_texts = {}  # by name of the notebook: those of its figures, in order

project = html_title = "Four Networks"
extensions = [
    "myst_nb",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_design",
]
exclude_patterns = [".*"]
myst_enable_extensions = [
    "amsmath",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
]
myst_heading_anchors = 3
nb_execution_mode = "off"  # `prepare` executes
nb_merge_streams = True
# a widget is nothing without its kernel: show the text in its place
nb_mime_priority_overrides = [
    ("html", "application/vnd.jupyter.widget-view+json", None)
]
html_theme = "sphinx_book_theme"
html_theme_options = {
    "repository_url": REPOSITORY,
    "repository_branch": "main",
    "path_to_docs": "notebooks",
    "use_repository_button": True,
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "navbar_persistent": [],
    "footer_content_items": [],
    "show_toc_level": 2,
}
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sourcelink_suffix = ""
html_show_search_summary = False  # a page opened from the disk may not fetch one
html_use_index = False


def scratch_folder():
    """A folder below notebooks/ for a kernel to start in, gone with what it wrote."""
    try:
        return tempfile.TemporaryDirectory(
            prefix=".run-", dir=HERE, ignore_cleanup_errors=True
        )
    except OSError:  # notebooks/ can't be written, so nothing is left there either
        return contextlib.nullcontext(HERE)


def execute(notebook, name):
    """Execute `notebook` in a fresh kernel, and say which cell it is at.

    Raises SphinxError where a cell fails.
    """

    def say(cell, cell_index):
        place = f"cell {cell_index + 1} of {len(notebook.cells)}"
        print(f"\r{name}: {place} ", end="", flush=True)

    with scratch_folder() as folder:
        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            store_widget_state=False,
            on_cell_start=say,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise SphinxError(f"{name}.ipynb stopped:\n{error}") from error
        except (DeadKernelError, AssertionError) as error:
            # nbclient asserts that a kernel lives when it puts it away
            reason = "its kernel died, perhaps for want of memory"
            raise SphinxError(f"{name}.ipynb stopped: {reason}") from error
        finally:
            print(flush=True)


def prepare(app, name, source):
    """Execute a notebook before it is read, fold cells, and complete its links."""
    if name not in [path.stem for path in NOTEBOOKS]:
        return
    notebook = nbformat.reads(source[0], as_version=4)
    if app.config.run != "committed":
        execute(notebook, name)
    for cell in notebook.cells:
        for tag in FOLDED.keys() & set(cell.metadata.get("tags", [])):
            cell.metadata.tags.append("hide-cell")
            prompts = dict.fromkeys(
                ["code_prompt_show", "code_prompt_hide"], FOLDED[tag]
            )
            cell.metadata["mystnb"] = prompts
        if cell.cell_type == "markdown":
            button = r"[\1](\2){.sd-btn .sd-btn-outline-primary}"
            text = re.sub(BADGE, button, cell.source)
            cell.source = text.replace("](../", f"]({REPOSITORY}/blob/main/")
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    alt_texts[name] = [
        output.metadata.get("image/png", {}).get("alt", "")
        for output in outputs
        if "image/png" in output.get("data", {})
    ]
    source[0] = nbformat.writes(notebook)


def describe(app, doctree):
    """Give figures the alt texts that stand beside them in the notebook's outputs."""
    figures = [
        node
        for node in doctree.findall(nodes.image)
        if node.parent.get("mime_type") == "image/png"
    ]
    texts = alt_texts.get(app.env.docname, [])
    for figure, alt in zip(figures, texts, strict=True):
        figure["alt"] = alt


def choose_data(app, config):
    """Set MNIST_PATH for the kernels; with run=whole, see that all of it is there."""
    if config.run not in ("sample", "whole", "committed"):
        wanted = "run=sample, run=whole or run=committed"
        raise ConfigError(f"expected {wanted}, got run={config.run}")
    if config.run == "sample":
        os.environ["MNIST_PATH"] = "sample"
    elif config.run == "whole":
        sys.path.insert(0, str(HERE.parent))
        from helpers.data import load_mnist

        mnist = load_mnist()  # a download is seen here, and done once
        if not mnist.whole:
            raise ConfigError(f"expected all of MNIST for run=whole, got {mnist}")


def keep_together(app):
    """Let MyST-NB write its pictures into the site's folder, not into one beside it."""
    pictures = str(Path(app.outdir) / ".jupyter_execute")
    app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=pictures)


def setup(app):
    app.add_config_value("run", "sample", "env", str)
    app.connect("config-inited", choose_data)
    app.connect("builder-inited", keep_together, priority=900)
    app.connect("source-read", prepare)
    app.connect("doctree-read", describe)
