"""Leaves an executed notebook fit to be committed. In the folder of the repository:

    jupyter nbconvert --config=notebooks/nbconvert_config.py --execute --inplace FILE
"""

from nbconvert.preprocessors import Preprocessor
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor

WIDGET = "application/vnd.jupyter.widget-view+json"


class Tidy(Preprocessor):
    """Leaves out what belongs to one machine: widgets, and which Python it was."""

    enabled = True

    def preprocess(self, notebook, resources):
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                for part in ("data", "metadata"):
                    output.get(part, {}).pop(WIDGET, None)
        notebook.metadata.pop("widgets", None)
        for name in ("version", "codemirror_mode", "pygments_lexer"):
            notebook.metadata.language_info.pop(name, None)
        return notebook, resources


c = get_config()  # noqa: F821  (Jupyter puts it here)
c.NotebookExporter.preprocessors = [CoalesceStreamsPreprocessor, Tidy]  # at the end
c.ExecutePreprocessor.timeout = None
c.ExecutePreprocessor.record_timing = False
c.ExecutePreprocessor.store_widget_state = False
c.CoalesceStreamsPreprocessor.enabled = True
c.ExecutePreprocessor.extra_arguments = ["--IPKernelApp.log_level=ERROR"]
