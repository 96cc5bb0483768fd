//! Operations on event source mappings, one function each.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::EventSourceMappingConfiguration;

use super::{
    Class, Lambda,
    account::errors::{asked, is_conflict, is_missing, sorted},
    written::{of_sources, sources_of},
};
use crate::cloud::{CloudError, aws::duties::SourceParts, unseen::until_told};

impl Lambda {
    /// Every mapping that calls this function or alias.
    pub(in crate::cloud::aws) async fn sources(
        &self,
        function: &str,
    ) -> Result<Vec<EventSourceMappingConfiguration>, CloudError> {
        let call = || {
            self.sdk
                .list_event_source_mappings()
                .function_name(function)
        };
        let told = until_told!(
            self.unseen,
            sources_of(function),
            of_sources,
            match pages!(self, call, event_source_mappings) {
                Ok(all) => all,
                Err(error) if is_missing(&error) => Vec::new(),
                Err(error) => {
                    return Err(sorted(asked("ListEventSourceMappings", function), &error));
                }
            }
        );
        Ok(told)
    }

    /// Every mapping of the account in this region.
    pub(in crate::cloud::aws) async fn all_sources(
        &self,
    ) -> Result<Vec<EventSourceMappingConfiguration>, CloudError> {
        let call = || self.sdk.list_event_source_mappings();
        pages!(self, call, event_source_mappings)
            .map_err(|error| sorted(asked("ListEventSourceMappings", "all functions"), &error))
    }

    /// One that is there already, made by somebody or by a call whose reply was lost, is changed to be as asked for.
    pub(in crate::cloud::aws) async fn add_source(
        &self,
        function: &str,
        source: &str,
        parts: SourceParts,
        tags: BTreeMap<String, String>,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let mut call = self
            .sdk
            .create_event_source_mapping()
            .set_tags(Some(tags.into_iter().collect()))
            .function_name(function)
            .event_source_arn(source)
            .batch_size(parts.batch)
            .maximum_batching_window_in_seconds(parts.window)
            .set_scaling_config(
                parts
                    .scaling
                    .clone()
                    .filter(|it| it.maximum_concurrency().is_some()),
            )
            .set_function_response_types(Some(parts.responses.clone()))
            .enabled(true);
        if !parts.filters.filters().is_empty() {
            call = call.filter_criteria(parts.filters.clone());
        }
        if let Some(stream) = &parts.stream {
            let failed = stream.failed.clone();
            let has_failed = failed
                .on_failure()
                .is_some_and(|it| it.destination().is_some());
            call = call
                .starting_position(stream.from.clone())
                .parallelization_factor(stream.parallel)
                .maximum_retry_attempts(stream.retries)
                .maximum_record_age_in_seconds(stream.max_age)
                .bisect_batch_on_function_error(stream.bisect)
                .set_destination_config(has_failed.then_some(failed));
        }
        let Err(error) = call.send().await else {
            self.added_source(function, source);
            return Ok(());
        };
        let failed = sorted(asked("CreateEventSourceMapping", source), &error);
        if !is_conflict(&error) {
            return Err(failed);
        }
        // It may be told late, too.
        self.added_source(function, source);
        let there = self.sources(function).await?;
        let same = there
            .iter()
            .find(|it| it.event_source_arn() == Some(source));
        let Some(id) = same.and_then(|it| it.uuid()) else {
            return Err(failed);
        };
        self.change_source(function, id, parts).await
    }

    /// What is emptied is sent as empty, since what is not sent stays.
    pub(in crate::cloud::aws) async fn change_source(
        &self,
        function: &str,
        id: &str,
        parts: SourceParts,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let SourceParts {
            batch,
            window,
            filters,
            scaling,
            responses,
            stream,
        } = parts;
        let mut call = self
            .sdk
            .update_event_source_mapping()
            .uuid(id)
            .batch_size(batch)
            .maximum_batching_window_in_seconds(window)
            .filter_criteria(filters)
            .set_scaling_config(scaling)
            .set_function_response_types(Some(responses))
            .enabled(true);
        if let Some(stream) = stream {
            call = call
                .parallelization_factor(stream.parallel)
                .maximum_retry_attempts(stream.retries)
                .maximum_record_age_in_seconds(stream.max_age)
                .bisect_batch_on_function_error(stream.bisect)
                .destination_config(stream.failed);
        }
        let answer = call.send().await;
        let told = answer.map_err(|error| sorted(asked("UpdateEventSourceMapping", id), &error))?;
        self.changed_source(function, id, told.last_modified());
        Ok(())
    }

    pub(in crate::cloud::aws) async fn remove_source(
        &self,
        function: &str,
        id: &str,
    ) -> Result<(), CloudError> {
        self.turn(Class::Other).await;
        let call = self.sdk.delete_event_source_mapping().uuid(id);
        match call.send().await {
            Ok(_) => {}
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(sorted(asked("DeleteEventSourceMapping", id), &error)),
        }
        self.removed_source(function, id);
        Ok(())
    }
}
