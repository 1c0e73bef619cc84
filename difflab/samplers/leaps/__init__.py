"""Leaps of models that learned the flow's map itself: a step goes as far as one likes."""
