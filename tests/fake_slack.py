"""A stand-in for Slack, for tests: Web API, Socket Mode and files, on HTTP
and, with --tls, on HTTPS. What it knows lives in memory.

When it listens, it prints one line of JSON:

    {"api_url": "http://127.0.0.1:PORT/api/", "control_url": …, "ca_file": …,
     "tls_api_url": … with --tls, "tokens": {"app": …, "bot": …},
     "team": …, "bot_user": …, "bot_id": …, "other_host": "127.0.0.1:PORT2",
     "giphy_url": …, "giphy_key": …}

and stays until TERM, INT or, with --parent, the end of its stdin. Point a
client at it by SLACK_API_URL, SLACK_APP_TOKEN and SLACK_BOT_TOKEN. Tests in
Python use tests/slack.py. By hand, in another terminal:

    python3 tests/fake_slack.py --port 8100 &
    curl -s http://127.0.0.1:8100/control -d '{"do":"send","text":"hello"}'
    curl -s http://127.0.0.1:8100/control -d '{"do":"refresh","warning":2}'
    curl -s 'http://127.0.0.1:8100/control/log?after=0&wait=5'

POST /control takes an order {"do": …} or a list of them. Orders, with what
they take (all but the first words of a line may be left out):

  messages   (kept in the history, and told to the client if the bot is in the
             channel; "quiet": only kept, "unrecorded": only told)
    send text channel user …        any members of the event; answers ts and
                                    event_id; a member null is left out;
                                    "twin": an app_mention of it, too;
                                    "uploads": [{a new file}, …]
    send_many count rate text channels …    "{n}" in the text is the number
    burst count rate …              the same, in the background
    reply channel thread_ts text broadcast …
    edit channel ts text by previous …      by null: not by a human (unfurl);
                                    previous: what previous_message shall be
    delete channel ts
  other envelopes
    push_event event                any event, null too
    push type payload retried       any envelope; payload null: none
    slash_command command text user channel     interactive payload
    rate_limit_notice minute        app_rate_limited, without an event
    raw text|base64_data socket frames dribble pause ping_between
  "how" of those above: {"accepts": …, "no_retry": leave those fields out,
             "frames": {"frames": N in so many WebSocket frames, "dribble": N
             bytes at a time, "pause": seconds, "ping_between": …},
             "delay": seconds}
  sockets    (socket: a number, "oldest", "newest"; left out: all)
    refresh socket warning grace reason     disconnect reason socket close
    close socket code reason        kill socket reset: without a close frame
    blackhole socket                open, registered, and deaf and dumb
    lay_ghosts                      end black-holed sockets after all
    disable / enable                Socket Mode (link_disabled)
  what goes wrong
    fail_next method times, and of: status error retry_after body answer delay
             hang reset half after seconds.     method: of the Web API,
             "download", "upload" or "*"; body: json, empty, html, no_ok, or
             a text; half: of the answer, then the connection's end; after:
             what is asked for is done first, and then the answer spoilt.
             The method "giphy" is the Giphy that it is, too (giphy.py)
    fail_upgrade times, and one of: status hang no_hello reset
             close_after_hello code hello_delay
    heal                            take back all that waits
    token name error scopes without         name: app or bot
    limit method many seconds       429 beyond that (see --real-limits, too)
    certificate kind                good, wrong_name, unknown_ca (of --tls)
    set ack_deadline retries …      any option, by its name in the help below
    expire_cursors
  the workspace
    add_user id name real_name …    add_channel id name type members …
    open_im user                    answers the channel
    add_parrot channel user bot_id text most
                                    a bot that says this whenever ours has said
                                    something there, so often at most
    change_channel id joined archived refuses name …
                                    refuses: posts, by an error such as
                                    restricted_action
    add_file name text|base64_data|size mode stub mimetype conduct …
    change_file id conduct …        mode: hosted, snippet, external, tombstone,
             hidden_by_limit, access_denied; stub: as Slack Connect shows it;
             conduct: of the download (fake_slack/files.py): login fail rate
             endless cut elsewhere loop delay mimetype unsized

GET /control/log?after=N&wait=S   {"entries": […]}, each with n, time, kind:
  api {method, token: its name, arguments, status, error}, upgrade, hello,
  open_socket, close_socket {by, clean, code}, envelope {socket, event_id,
  attempt}, ack {latency, late}, unacknowledged, undelivered, lost, disconnect,
  client_ping, client_pong, download {file, token: its name, bytes}, upload,
  elsewhere {authorization: was there a token?}, login_page,
  giphy {query, raw, is_key_good}, error {what: no
  good client does it}, server_error {what}, …
GET /control/state      sockets, ghosts, acked, pending, lost, messages,
                        limited {method: {channel: answers 429}} …
GET /control/posts?channel=C&after=N    {"posts": […]} of the bot, in order:
                        time channel ts text metadata thread_ts files
GET /control/history?channel=C    all messages of a channel

An ack that comes later than the deadline counts as none. Tokens and tickets
stand in no log entry.
"""
from fake_slack.server import main

if __name__ == "__main__":
    main(__doc__)
