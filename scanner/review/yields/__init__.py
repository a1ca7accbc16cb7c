"""Lists of candidates before people look at them: how many lenses and contaminants to expect, and lists with a guarantee."""
