import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRouter, useSearch } from '@tanstack/react-router';
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { TextField } from '../../ui/field.tsx';
import { Mark } from '../../ui/mark.tsx';

type Credential = { code: string } | { token: string };

/** Signs in with the code in the address, or with a pasted API token. The server answers with a session cookie. */
export function SignInPage(): ReactNode {
  const { code } = useSearch({ from: '/login' });
  const signIn = useSignIn();
  const used = useRef<string>(undefined);
  const { mutate } = signIn;
  useEffect(() => {
    document.title = 'Sign in · Selvedge';
    // A code works once: never send it twice.
    if (code === undefined || used.current === code) return;
    used.current = code;
    mutate({ code });
  }, [code, mutate]);
  const signingInByCode = code !== undefined && !signIn.isError;
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <div className="flex w-full max-w-md overflow-hidden rounded-xl border border-line bg-surface shadow-lifted">
        <div aria-hidden="true" className="selvedge-edge w-3 shrink-0 border-r border-line bg-canvas" />
        <div className="min-w-0 flex-1 p-6 sm:p-8">
          <Mark size={30} />
          <h1 className="mt-4 text-2xl font-semibold tracking-tight">{signingInByCode ? 'Signing in …' : 'Sign in to Selvedge'}</h1>
          {signIn.isError && <SignInError error={signIn.error} />}
          {!signingInByCode && (
            <>
              <p className="mt-1 mb-2 text-sm text-ink-2">
                On the machine that runs the server, this prints a link that signs this browser in:
              </p>
              <CodeBlock code="selvedge open" label="Command that prints a sign-in link" />
              <p className="my-4 flex items-center gap-3 text-xs text-ink-3 before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
                or
              </p>
              <TokenForm busy={signIn.isPending} onToken={(token) => mutate({ token })} />
            </>
          )}
        </div>
      </div>
    </main>
  );
}

function SignInError({ error }: { error: unknown }): ReactNode {
  return (
    <div className="-mx-4">
      <ErrorState error={error} />
    </div>
  );
}

function TokenForm({ busy, onToken }: { busy: boolean; onToken: (token: string) => void }): ReactNode {
  const [token, setToken] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token.trim() !== '') onToken(token.trim());
  };
  return (
    <form onSubmit={submit} className="grid gap-2">
      <TextField
        label="API token"
        type="password"
        autoComplete="current-password"
        value={token}
        onChange={(event) => setToken(event.target.value)}
        maxLength={256}
        hint="The server writes the administrator's token into its data folder at its first start."
      />
      <Button type="submit" variant="primary" busy={busy} disabled={token.trim() === ''}>
        Sign in
      </Button>
    </form>
  );
}

function useSignIn() {
  const { client } = useBackend();
  const queryClient = useQueryClient();
  const router = useRouter();
  const { from } = useSearch({ from: '/login' });
  return useMutation({
    mutationFn: (credential: Credential) => client.createSession({ body: credential }),
    onSuccess: () => {
      queryClient.clear();
      router.history.replace(from ?? '/');
    },
  });
}
