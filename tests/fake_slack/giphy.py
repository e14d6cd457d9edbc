"""A Giphy to ask for pictures (developers.giphy.com/docs/api/endpoint).

    GET /v1/gifs/search?api_key=KEY&q=WORDS&limit=50&rating=g&lang=en

It knows some of everything, but nothing of "nothing". What goes wrong waits
under the method `giphy` of fail_next.
"""
from aiohttp import web

from . import faults

PATH = "/v1/gifs/search"
KEY = "fakeGiphyKeyNeverPrinted"
GIFS = 3
UNKNOWN = "nothing"
NO_LIMIT = 25           # are answered where nobody asks for a number


class Giphy:
    def __init__(self, fake):
        self.fake = fake

    async def search(self, request):
        query = dict(request.query)
        key = query.pop("api_key", None)
        self.fake.log.add("giphy", query=query, is_key_good=key == KEY,
                          raw=request.rel_url.raw_query_string.replace(
                              KEY, "KEY"))
        fault = self.fake.faults.take("giphy")
        if fault is not None:
            spoilt = await faults.suffer(fault, request)
            if spoilt is not None:
                return spoilt
        if key != KEY:
            return answer(401, "Unauthorized", meta_only=True)
        return answer(200, "OK", find_gifs(query))


def find_gifs(query):
    words = query.get("q", "")
    many = 0 if words == UNKNOWN else GIFS
    name = "".join(c if c.isalnum() and c.isascii() else "-" for c in words)
    return [{"type": "gif", "id": f"{name}{n}", "title": words,
             "rating": query.get("rating"), "slug": f"{name}-{n}",
             "url": f"https://giphy.example/gifs/{name}-{n}"}
            for n in range(min(many, int(query.get("limit", NO_LIMIT))))]


def answer(status, words, data=(), meta_only=False):
    content = {"meta": {"status": status, "msg": words,
                        "response_id": "0123456789abcdef"}}
    if not meta_only:
        content |= {"data": list(data), "pagination": {
            "total_count": len(data), "count": len(data), "offset": 0}}
    return web.json_response(content, status=status)


def routes(giphy):
    return [web.get(PATH, giphy.search)]
