"""First code after a reset: say where the application is. Nothing else, so that nothing here can go wrong.

The application is what is in /app, in front of everything else that can be imported.
"""

import sys

sys.path.insert(0, "/app")
