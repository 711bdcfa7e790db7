"""What runs when a site is reached: guard, dispatch, journal, disk cache, and the records of it all."""
