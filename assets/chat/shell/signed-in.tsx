// Who is signed in, at the foot of the sidebar: leads to the account, signs out, and notices that the session has ended.

import "../common/base.css";
import "./shell.css";

import { LogOut, UserRound } from "lucide-react";
import { useEffect } from "react";
import { basePath, goToSignIn } from "../common/base-path";
import { useConnectionLost } from "../common/reflex";
import { useStrings } from "../common/strings";

const ASK_MS = 2000;

// A socket that is refused says nothing of why: while there is none, the server is asked whether the session has ended.
async function signInIfRefused(): Promise<void> {
  const answer = await fetch(`${basePath()}/api/account`).catch(() => null);
  if (answer?.status === 401) goToSignIn();
}

export function SignedIn({ name, canSignOut }: { name: string; canSignOut: boolean }) {
  const t = useStrings().shell;
  const lost = useConnectionLost();
  useEffect(() => {
    if (!lost) return;
    const asking = setInterval(signInIfRefused, ASK_MS);
    return () => clearInterval(asking);
  }, [lost]);
  return (
    <div className="signed-in">
      <a href={`${basePath()}/account`} className="person" title={t.account}>
        <UserRound size={16} />
        <span className="title" dir="auto">
          {name}
        </span>
      </a>
      {canSignOut && (
        <form method="post" action={`${basePath()}/sign-out`}>
          <button type="submit" className="icon" data-testid="sign-out" aria-label={t.signOut} title={t.signOut}>
            <LogOut size={16} />
          </button>
        </form>
      )}
    </div>
  );
}
