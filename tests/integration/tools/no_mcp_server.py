"""What is no MCP server: ``python no_mcp_server.py [noise]`` says something else, or nothing, and stays.

Without the SDK, which is a second of CPU.
"""

import sys
import time

if "noise" in sys.argv:
    sys.stdout.write("this is no protocol\n" * 100)
    sys.stdout.flush()
time.sleep(600)
