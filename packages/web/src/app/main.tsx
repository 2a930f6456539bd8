import './no-eval.ts';
import '../ui/tokens.css';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { BackendProvider } from '../lib/queries.ts';
import { readTheme, showTheme } from '../lib/theme.ts';
import { ToastProvider } from '../ui/toast.tsx';
import { createApp } from './create-app.ts';

showTheme(readTheme());
const { backend, queryClient, router } = createApp();
const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element with the id "root"');
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <BackendProvider value={backend}>
        <ToastProvider>
          <RouterProvider router={router} />
        </ToastProvider>
      </BackendProvider>
    </QueryClientProvider>
  </StrictMode>,
);
