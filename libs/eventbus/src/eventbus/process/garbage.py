"""The garbage collector of a process that has started, and whose objects hardly ever refer to each other in circles."""

import gc

# Python looks at the youngest objects after 700 new ones, and at last at all of them: those of a few orders.
YOUNG = 20_000


def calm_garbage_collection() -> None:
    """Let the collector look only at what is made from now on, and more seldom.

    To be called when everything is imported and made that stays.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
