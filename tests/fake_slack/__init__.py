"""A stand-in for Slack: Web API, Socket Mode and files, honestly unpleasant.

Each module is one noun: the journal of what was seen (log), the workspace
(workspace, files), what a client calls (api, methods), its sockets (websocket,
sockets), what is delivered on them (delivery), and how a test steers it all
(control). How to use it stands in tests/fake_slack.py.
"""
