"""Ratings by people: what they hear, blind to which text is whose.

`drawing` chooses the clips and hides the variants, `sheet` makes the page that raters open from
disk, `storage` says where sheets, keys and answers lie, `answers` reads raters' files and says what
speaks against them, `importing` takes them in, `statistics` measures agreement and preference, and
`tables` makes the tables.
"""
