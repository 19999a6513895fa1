import { formats } from "./formats";

const { plural } = formats("en");

// Widens the literal texts of an object to strings: another language has the same keys with other texts.
type Widened<T> = {
  [Key in keyof T]: T[Key] extends string
    ? string
    : T[Key] extends (...args: infer Arguments) => string
      ? (...args: Arguments) => string
      : Widened<T[Key]>;
};

export type Strings = Widened<typeof en>;

export const en = {
  shell: {
    conversations: "Conversations",
    closeList: "Close the list",
    newChat: "New chat",
    search: "Search",
    searchAll: "Search all conversations",
    searching: "Searching …",
    searchResults: "Search results",
    found: (n: number) => plural(n, { one: "# message", other: "# messages" }),
    nothingFound: "Nothing was found.",
    showMore: "Show more",
    showOlder: "Show older conversations",
    lab: "What streaming changes",
    latency: "Latency",
    pinned: "Pinned",
    today: "Today",
    yesterday: "Yesterday",
    thisWeek: "This week",
    thisMonth: "This month",
    earlier: "Earlier",
    all: "All conversations",
    nothingArchived: "Nothing is archived.",
    archive: "Archive",
    import: "Import",
    importHint: "Import conversations: JSON or Markdown, or the export of ChatGPT",

    answering: "answering",
    actionsFor: (title: string) => `Actions for ${title}`,
    rename: "Rename",
    titleOfConversation: "Title of the conversation",
    pin: "Pin",
    unpin: "Unpin",
    unarchive: "Move out of the archive",
    archived: "Conversation archived.",
    share: "Share a link",
    exportMarkdown: "Export as Markdown",
    exportJson: "Export as JSON",
    delete: "Delete",
    deleted: "Conversation deleted.",

    shareExplained: "Whoever has this link can read the conversation as it is now, and nothing that follows.",
    link: "Link",
    copyLink: "Copy link",
    takeLinkBack: "Take the link back",
    done: "Done",

    account: "Your account",
    signOut: "Sign out",

    lightTheme: "Use the light theme",
    darkTheme: "Use the dark theme",
    reconnecting: "Reconnecting…",
    notify: "Notify me when an answer is ready",
    doNotNotify: "Do not notify me",
    answerReady: "The answer is ready.",
    toolWaits: "A tool waits for your approval.",
    needsYou: "Needs you",
    writeMessage: "Write a message",

    tools: "Tools",
    toolsOfConversation: "Tools of this conversation",
    loading: "Loading …",
    noTools: "There are no tools.",
    toolsFixed: "Tools can be switched off once the conversation has started.",
    connecting: "connecting …",
    notAvailable: "not available",
    asksFirst: "asks first",

    pageNotFound: "Page not found",
    noSuchConversation: "This conversation does not exist.",
    goTo: (name: string) => `Go to ${name}`,
  },
};
