"""Images as things to be changed: layers added, saved, pushed under another name."""
