export { openSession, type Session, type SessionOptions, type Tensor } from './open-session.ts';
