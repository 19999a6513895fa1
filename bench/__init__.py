"""The benchmarks: ``python -m bench [section …] [--quick]`` prints tables, and asserts nothing about time.

Every figure stands beside a floor that is measured in the same run, by the same meter, on the same load.
Names no figure of another program: what others need is in the documentation.
"""
