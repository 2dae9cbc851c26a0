"""What the notebooks share: data to learn from (`data`), figures (`plotting`), the checks of the exercises (`exercises`).

The networks are not here: each lives in the notebook that explains it.
"""
