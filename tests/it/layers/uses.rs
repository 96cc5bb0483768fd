//! Every path that a file uses, spelt from the root of the package.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{ItemUse, UseTree, visit::Visit};

/// A path, and the line that it stands on.
pub(super) struct Used {
    pub(super) path: Vec<String>,
    /// How many modules within the file it stands in.
    pub(super) inside: usize,
    pub(super) line: usize,
}

/// What a file holds that the layers care about. Test modules count too: they are compiled with the module that they are in.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) used: Vec<Used>,
    /// Lines of `async` functions, blocks and closures, and of `.await`.
    pub(super) waits: Vec<usize>,
    inside: usize,
}

pub(super) fn facts(file: &syn::File) -> Facts {
    let mut facts = Facts::default();
    facts.visit_file(file);
    facts
}

impl Facts {
    fn use_path(&mut self, path: Vec<String>, span: Span) {
        let line = span.start().line;
        let inside = self.inside;
        self.used.push(Used { path, inside, line });
    }

    fn use_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.use_tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(before, tree);
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                self.use_path(before.to_vec(), name.ident.span());
            }
            UseTree::Name(name) => {
                self.use_path(with(name.ident.to_string()), name.ident.span());
            }
            UseTree::Rename(name) => {
                self.use_path(with(name.ident.to_string()), name.ident.span());
            }
            UseTree::Glob(glob) => {
                self.use_path(with("*".to_owned()), glob.star_token.spans[0]);
            }
        }
    }

    /// Macros hide paths from the parser: every run of names with `::` between them is taken for one.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut run: Option<(Vec<String>, Span)> = None;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) if colons == 2 && run.is_some() => {
                    if let Some((path, _)) = &mut run {
                        path.push(ident.to_string());
                    }
                    colons = 0;
                }
                TokenTree::Ident(ident) => {
                    self.end(run.take());
                    if ident == "async" || ident == "await" {
                        self.waits.push(ident.span().start().line);
                    }
                    run = Some((vec![ident.to_string()], ident.span()));
                    colons = 0;
                }
                TokenTree::Group(group) => {
                    self.end(run.take());
                    colons = 0;
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end(run.take());
                    colons = 0;
                }
            }
        }
        self.end(run);
    }

    fn end(&mut self, run: Option<(Vec<String>, Span)>) {
        if let Some((path, span)) = run
            && path.len() > 1
        {
            self.use_path(path, span);
        }
    }

    fn wait(&mut self, span: Span) {
        self.waits.push(span.start().line);
    }
}

impl<'ast> Visit<'ast> for Facts {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.inside += 1;
        syn::visit::visit_item_mod(self, item);
        self.inside -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.use_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let names = path.segments.iter();
            let span = path.segments[0].ident.span();
            self.use_path(names.map(|it| it.ident.to_string()).collect(), span);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        self.tokens(mac.tokens.clone());
        syn::visit::visit_macro(self, mac);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(token) = &signature.asyncness {
            self.wait(token.span);
        }
        syn::visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, it: &'ast syn::ExprAsync) {
        self.wait(it.async_token.span);
        syn::visit::visit_expr_async(self, it);
    }

    fn visit_expr_closure(&mut self, it: &'ast syn::ExprClosure) {
        if let Some(token) = &it.asyncness {
            self.wait(token.span);
        }
        syn::visit::visit_expr_closure(self, it);
    }

    fn visit_expr_await(&mut self, it: &'ast syn::ExprAwait) {
        self.wait(it.await_token.span);
        syn::visit::visit_expr_await(self, it);
    }
}
