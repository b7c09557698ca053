"""The schema of everything that a run needs: YAML in, resolved values out.

Only `cli`, `experiments` and `training` may see these classes; every other part takes plain values.
"""
