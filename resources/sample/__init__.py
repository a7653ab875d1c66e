"""The sample: synthesised kitchen sounds in the official file formats, and recorded answers.

It shows that the pipeline runs, on any machine and without anybody's licence. Its figures speak of
the sample only.
"""

from resources.sample.writer import SampleError, write_sample

__all__ = ["SampleError", "write_sample"]
