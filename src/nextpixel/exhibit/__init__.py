"""The exhibit: a model as plain files that open from the disk, computed in the page by JavaScript.

`tables` turns a model into what the page's engine runs, `linking` joins its modules into scripts
that browsers load without a server, `build` writes the folder.
"""
