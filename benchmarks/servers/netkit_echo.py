"""
netkit's echo.
"""

from twisted_listen import serve

from netkit.echo import EchoFactory

serve(lambda flags: EchoFactory())
