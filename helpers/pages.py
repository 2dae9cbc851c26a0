"""Execute the notebooks, and make HTML pages of them that need no network.

    python -m helpers.pages                   all four, on the embedded sample of MNIST, into the folder pages/
    python -m helpers.pages --whole 01 04     two of them, on all of MNIST
    python -m helpers.pages --whole --in-place 02    and keep the outputs in the notebook itself (for its editors)
    python -m helpers.pages --as-committed    no execution: pages of the notebooks as they are
"""

from __future__ import annotations

import argparse
import copy
import html
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))

# nbconvert's page, less what it fetches from elsewhere (require.js, mermaid), and with the alt text that it leaves out.
TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{% block data_png scoped %}
<div class="jp-RenderedImage jp-OutputArea-output {{ extra_class }}">
<img src="data:image/png;base64,{{ output.data['image/png'] | escape_html }}"
     alt="{{ (output | get_metadata('alt', 'image/png') or '') | escape_html }}">
</div>
{%- endblock data_png %}
"""


def execute(path: Path, say=print):
    """Execute the notebook at `path` in a fresh kernel that starts in its folder, and return it with its outputs.

    Raises nbclient.exceptions.CellExecutionError where a cell fails.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    done = 0

    def starting(cell, cell_index):
        nonlocal done
        if cell.cell_type == "code":
            done += 1
            say(f"\r{path.stem}: cell {done} of {cells}", end="", flush=True)

    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,
        record_timing=False,
        on_cell_start=starting,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # its remarks on how it talks to us are not the reader's concern
    )
    start = time.perf_counter()
    try:
        client.execute()
    finally:
        say("", flush=True)
    say(f"{path.stem}: done in {time.perf_counter() - start:.0f} s", flush=True)
    for cell in notebook.cells:  # a widget lives with its kernel; what stays is the sentence in its place
        for output in cell.get("outputs", []):
            for part in ("data", "metadata"):
                output.get(part, {}).pop("application/vnd.jupyter.widget-view+json", None)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    return notebook


def to_html(notebook, path: Path, mathjax: str = "mathjax") -> str:
    """The page of a notebook, with its pictures inside it; its formulas are set by the MathJax in the folder `mathjax`."""
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    notebook = copy.deepcopy(notebook)
    badge = r"\[!\[(Open in Colab)\]\([^)]*\)\]"  # its picture is elsewhere, so it becomes words
    notebook.cells[0].source = re.sub(badge, r"[\1]", notebook.cells[0].source)
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({"page.html.j2": TEMPLATE})],
        template_file="page.html.j2",
        embed_images=True,
        mathjax_url=f"{mathjax}/MathJax.js?config=TeX-AMS-MML_HTMLorMML-full,Safe",
    )
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": path.stem, "path": str(path.parent)}})
    for other in NOTEBOOKS:  # from notebook to notebook, so from page to page
        page = page.replace(f'href="{other.name}', f'href="{other.stem}.html')
    return page


def write(text: str, path: Path) -> None:
    """Write `path` whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 if every notebook ran to its end."""
    parser = argparse.ArgumentParser(prog="python -m helpers.pages", description="Execute the notebooks into HTML pages.")
    parser.add_argument("notebooks", nargs="*", metavar="NN", help="the numbers of those wanted (default: all four)")
    parser.add_argument("--whole", action="store_true", help="on all of MNIST instead of the embedded sample")
    parser.add_argument("--in-place", action="store_true", help="keep the outputs in the notebook too")
    parser.add_argument("--as-committed", action="store_true", help="execute nothing: show the outputs that are there")
    parser.add_argument("--output", type=Path, default=ROOT / "pages", help="the folder of the pages (default: pages/)")
    options = parser.parse_args(arguments)
    wanted = [path for path in NOTEBOOKS if not options.notebooks or path.stem[:2] in options.notebooks]
    unknown = set(options.notebooks) - {path.stem[:2] for path in NOTEBOOKS}
    if unknown:
        parser.error(f"expected numbers among {', '.join(p.stem[:2] for p in NOTEBOOKS)}, got {', '.join(sorted(unknown))}")

    if not options.whole:
        os.environ["MNIST_PATH"] = "sample"
    elif not options.as_committed:
        from helpers.data import load_mnist

        mnist = load_mnist()  # a download is seen here, and done once
        if not mnist.whole:
            print("expected all of MNIST for --whole, got " + str(mnist), file=sys.stderr)
            return 1

    return make_pages(wanted, options)


def make_pages(wanted: list[Path], options: argparse.Namespace) -> int:
    """Execute and write the pages that `options` ask for; 1 at the first cell that fails."""
    import jupyter_server_mathjax
    import nbformat
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    static = Path(jupyter_server_mathjax.__file__).parent / "static"
    shutil.copytree(static, options.output / "mathjax", dirs_exist_ok=True, ignore=shutil.ignore_patterns("localization"))
    for path in wanted:
        try:
            notebook = nbformat.read(path, as_version=4) if options.as_committed else execute(path)
        except (CellExecutionError, DeadKernelError) as error:
            print(f"\n{path.name} stopped:\n{error}", file=sys.stderr)
            return 1
        if options.in_place and not options.as_committed:
            write(nbformat.writes(notebook) + "\n", path)
        write(to_html(notebook, path), options.output / f"{path.stem}.html")
    write(index(options.output), options.output / "index.html")
    print(f"Open {options.output / 'index.html'}")
    return 0


def index(folder: Path) -> str:
    """The page that lists the pages in `folder`."""
    import nbformat

    rows = []
    for path in NOTEBOOKS:
        if (folder / f"{path.stem}.html").exists():
            heading = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].lstrip("# ")
            rows.append(f'<li><a href="{path.stem}.html">{html.escape(heading)}</a></li>')
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Four Networks</title>'
        "<style>body{font:18px/1.6 system-ui,sans-serif;max-width:40em;margin:4em auto;padding:0 1em}</style></head>\n"
        f"<body><h1>Four Networks</h1>\n<ol>{''.join(rows)}</ol></body></html>\n"
    )


if __name__ == "__main__":
    sys.exit(main())
