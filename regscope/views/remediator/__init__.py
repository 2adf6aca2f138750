"""The policy builder: rules, what they would do, and doing it."""

from regscope.views import explorer as explorer  # which says what to install where the widgets' packages are missing
