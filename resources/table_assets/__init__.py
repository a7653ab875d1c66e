"""Dagster's side of tables, written once.

`declared` turns a table model into an asset kept in the lake, `stage` is what the asset's function
gets and gives back, `frame_types` stops malformed tables, `checks` judges stored ones, and `shown`
is what the UI shows of them.
"""

import warnings

import dagster as dg

# dagster-pandas and partitioned checks are in use here knowingly, pinned to one release family.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
