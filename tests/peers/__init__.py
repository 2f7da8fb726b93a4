"""What others' tools lose of a database as it really is, and how fast they are: ``python -m tests.peers``.

django-extensions' ``merge_model_instances`` and django-super-deduper merge rows of any model, one into another; they
know no trees, so the script drives them level by level. Each merges through the models, by itself, what points at the
rows. They come with the extra `peers`.
"""
