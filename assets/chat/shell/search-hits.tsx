// What a search over all conversations found, with links to the messages.

import { useEffect, useState } from "react";
import { Link } from "react-router";
import { useChat } from "../chat";
import { request } from "../common/request";
import { useStrings } from "../common/strings";

const WAIT_MS = 150; // after the last key

interface Hit {
  conversation_id: string;
  title: string;
  message_id: string;
  snippet: string;
}

interface Found {
  query: string;
  hits: Hit[];
  next: string | null;
}

export function SearchHits({ query, close }: { query: string; close: () => void }) {
  const t = useStrings().shell;
  const { attempt } = useChat();
  const [found, setFound] = useState<Found | null>(null);
  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      void attempt(async () => {
        const page = await search(query);
        if (current) setFound({ query, ...page });
      });
    }, WAIT_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [attempt, query]);
  if (!found) return <p className="note">{t.searching}</p>;
  const more = () =>
    attempt(async () => {
      const page = await search(found.query, found.next);
      setFound({ ...found, hits: [...found.hits, ...page.hits], next: page.next });
    });
  return (
    <section aria-label={t.searchResults}>
      <p className="sr-only" role="status">
        {found.hits.length ? t.found(found.hits.length) : t.nothingFound}
      </p>
      {!found.hits.length && <p className="note">{t.nothingFound}</p>}
      <ul>
        {found.hits.map((hit) => (
          <li key={hit.message_id}>
            <Link
              to={`/c/${hit.conversation_id}#${hit.message_id}`}
              className="conversation hit"
              data-testid="search-hit"
              data-message-id={hit.message_id}
              onClick={close}
            >
              <span className="title" dir="auto">
                {hit.title}
              </span>
              <span className="snippet" dir="auto">
                <Marked text={hit.snippet} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
      {found.next && (
        <button type="button" className="button more" onClick={() => void more()}>
          {t.showMore}
        </button>
      )}
    </section>
  );
}

async function search(query: string, before: string | null = null): Promise<{ hits: Hit[]; next: string | null }> {
  const parameters = new URLSearchParams({ q: query, ...(before && { before }) });
  return request("GET", `/api/search?${parameters}`);
}

// The server puts matches between « and ».
function Marked({ text }: { text: string }) {
  // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of one text, which does not change
  return text.split(/[«»]/).map((piece, index) => (index % 2 ? <mark key={index}>{piece}</mark> : piece));
}
