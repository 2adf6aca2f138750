"""The policy builder: a widget for editing rules, showing their plan, and applying it."""

from regscope.views import explorer as explorer  # its error says what to install if the widgets' packages are missing
